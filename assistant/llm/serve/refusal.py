"""Errors in the form that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from assistant.errors import AssistantError, QueryError


class RefusalError(QueryError):
    """A request that is not answered, with its HTTP status."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


def error_response(error: AssistantError) -> JSONResponse:
    """Its response: of its own status, 400 for a query that can't be answered, 503 for the rest."""
    if not isinstance(error, RefusalError):
        status = 400 if isinstance(error, QueryError) else 503
        error = RefusalError(str(error), status=status)
    headers: Mapping[str, str] = {}
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    elif error.status in (429, 503):
        headers = {"Retry-After": "1"}
    return JSONResponse(error_body(error), error.status, headers)


def error_body(error: AssistantError) -> dict[str, object]:
    """The JSON for `error`."""
    refusal = error if isinstance(error, RefusalError) else RefusalError(str(error), status=503)
    return {
        "error": {
            "message": str(refusal),
            "type": _kind(refusal.status),
            "param": refusal.param,
            "code": refusal.code,
        }
    }


def _kind(status: int) -> str:
    match status:
        case 401:
            return "authentication_error"
        case 429:
            return "rate_limit_error"
        case _:
            return "server_error" if status >= 500 else "invalid_request_error"
