// What a tab keeps over a reload. Without room, or where the browser forbids it, the tab goes on without.

/** Keep a text; "" and null forget it. Whether it is kept. */
export function keep(name, value) {
  try {
    if (value) sessionStorage.setItem(name, value);
    else sessionStorage.removeItem(name);
    return true;
  } catch (error) {
    if (error instanceof DOMException) return false; // QuotaExceededError, SecurityError
    throw error;
  }
}

/** What is kept; null for nothing. */
export function kept(name) {
  try {
    return sessionStorage.getItem(name);
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}
