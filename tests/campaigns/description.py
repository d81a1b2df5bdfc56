"""The OpenAPI description of the actions server: what it takes, and every answer it gives."""

from typing import Any

from jmreport import __version__
from jmreport.deeds import LONGEST_LABEL

_HTML = {"text/html": {"schema": {"type": "string"}}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


def description() -> dict[str, Any]:
    """The description as a tree of JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jmreport actions",
            "version": __version__,
            "description": "Abort jobs and change labels from confirm pages. Forms count once: "
            "their csrf and idempotency-key come from the page that is asked for first.",
        },
        "paths": {
            "/healthz": {
                "get": _get("It is there", {"200": _answer("It is", _TEXT)}, locked=False)
            },
            "/actions/jobs": {"get": _get("Jobs to choose from", _seen(), _looked_for())},
            "/actions/abort": _form_page("Abort jobs", {}),
            "/actions/labels": _form_page("Change labels of jobs", _label_fields()),
            "/actions/outcome": {
                "get": _get("What came of a form", _seen("404"), [_parameter("key", True, 64)])
            },
        },
        "components": {
            "securitySchemes": {
                "local": {"type": "apiKey", "in": "cookie", "name": "jmreport"},
                "iap": {"type": "apiKey", "in": "header", "name": "x-goog-iap-jwt-assertion"},
                "google": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            }
        },
    }


def _answer(words: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": words, **({"content": content} if content else {})}


def _turned(*more: str) -> dict[str, Any]:
    """What every page may answer instead: text from the gate, a page for a person."""
    words = {
        "400": "Not a request of ours, or it names no job",
        "401": "It is not known who asks",
        "403": "Not allowed",
        "404": "Nothing of this name",
        "408": "The form did not come in time",
        "409": "The form was sent before, or has to be looked at again",
        "411": "The form's length is not told",
        "413": "The form is too large",
        "414": "The address is too long",
        "415": "Not a form",
        "421": "Another host's request",
        "429": "Too many jobs in a minute",
        "503": "The Job Manager does not answer, so nothing was sent",
    }
    always = ("400", "401", "403", "414", "421")
    return {code: _answer(words[code], {**_HTML, **_TEXT}) for code in (*always, *more)}


def _seen(*more: str) -> dict[str, Any]:
    return {"200": _answer("The page", _HTML), **_turned(*more)}


def _get(
    summary: str,
    answers: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    locked: bool = True,
) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": parameters or [],
        "security": [{"local": []}, {"iap": []}, {"google": []}] if locked else [],
        "responses": answers,
    }


def _parameter(name: str, required: bool, longest: int) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": {"type": "string", "maxLength": longest},
    }


def _looked_for() -> list[dict[str, Any]]:
    looked = [_parameter(name, False, 300) for name in ("status", "name", "label")]
    # "yes" chooses as many of them as one form takes.
    return [*looked, _parameter("all", False, 3)]


def _jobs() -> dict[str, Any]:
    return {
        "name": "job",
        "in": "query",
        "required": True,
        "explode": True,
        "schema": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "minLength": 1, "maxLength": 400},
        },
    }


def _label_fields() -> dict[str, Any]:
    return {"set": {"type": "string", "maxLength": 2 * LONGEST_LABEL + 1}}


def _form_page(summary: str, more: dict[str, Any]) -> dict[str, Any]:
    form = {
        "type": "object",
        "required": ["csrf", "idempotency-key"],
        "properties": {
            "csrf": {"type": "string", "maxLength": 200},
            "idempotency-key": {"type": "string", "minLength": 32, "maxLength": 32},
            **more,
        },
        # label.KEY, was.KEY and clear.KEY, as the page names them.
        "additionalProperties": {"type": "string"},
    }
    return {
        "get": _get(summary, _seen("404", "503"), [_jobs()]),
        "post": {
            **_get(
                f"{summary}, once",
                {
                    "303": _answer("Done; its Location tells what came of it"),
                    **_turned("404", "408", "409", "411", "413", "415", "429", "503"),
                },
                [_jobs()],
            ),
            "requestBody": {
                "required": True,
                "content": {"application/x-www-form-urlencoded": {"schema": form}},
            },
        },
    }
