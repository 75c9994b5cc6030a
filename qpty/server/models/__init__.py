"""The shapes of requests and answers: what `/openapi.json` says, and what is checked."""
