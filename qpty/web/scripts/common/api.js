// Requests to the server, and its one shape of errors.

import { hasText, text } from "./texts.js";

/** An error of the server's, or of the way to it (`code` "offline"). `message` is for people, in their language. */
export class ApiError extends Error {
  constructor({ code, message, request_id = null, question = null, details = {} }, status = 0) {
    super(hasText(`error_${code}`) ? text(`error_${code}`) : message);
    this.code = code;
    this.told = message;
    this.status = status;
    this.requestId = request_id;
    this.question = question;
    this.details = details;
  }

  /** What went wrong on the way to the server. */
  static offline() {
    return new ApiError({ code: "offline", message: "the server can't be reached" });
  }
}

/** The address of a session's operations: `sessionUrl(id, "files", path)`; each part is escaped. */
export function sessionUrl(id, ...parts) {
  return ["/api/v1/sessions", encodeURIComponent(id), ...parts.map(escaped)].join("/");
}

/** A path below a session's directory keeps its slashes. */
function escaped(part) {
  return part.split("/").map(encodeURIComponent).join("/");
}

/**
 * Make a request; returns the answer's JSON, null for an empty one.
 *
 * `json`: a body to be sent as JSON; `body` with `headers`: any other. Throws ApiError. Without a valid sign-in the page
 * is loaded anew, and the server shows its form.
 */
export async function request(method, url, options = {}) {
  const response = await fetched(method, url, options);
  const body = await response.text();
  return body === "" ? null : JSON.parse(body);
}

/** As `request`, but returns the Response itself: for files, and for what is read as it comes. */
export async function fetched(method, url, { json = undefined, body = undefined, headers = {}, signal = undefined } = {}) {
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: json === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: json === undefined ? body : JSON.stringify(json),
      signal,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw ApiError.offline();
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.status === 401) location.reload();
  throw error;
}

async function errorOf(response) {
  const told = await response.text();
  try {
    return new ApiError(JSON.parse(told).error, response.status);
  } catch {
    return new ApiError({ code: "unknown", message: told.slice(0, 300) || response.statusText }, response.status);
  }
}
