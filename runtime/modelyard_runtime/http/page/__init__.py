"""The try-it page: what a person sees who opens the model's address in a browser.

Routes for `http.framework`. Three files of our own and nothing from elsewhere: the page works in a cluster without
internet, and its content security policy forbids everything else. It asks the same routes that every client asks, so it
can show nothing that is not in them. It must never hold a secret or anything that depends on the caller.
"""

from importlib import resources

import fastapi

_FILES = {"page.html": "text/html; charset=utf-8", "page.css": "text/css", "page.js": "text/javascript"}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def is_wanted(accept: str) -> bool:
    """Says whether the Accept header is a browser's: tools that take anything get JSON."""
    return "text/html" in accept


def respond(name: str) -> fastapi.Response:
    """Gives one of the page's files."""
    content = resources.files(__name__).joinpath(name).read_bytes()
    return fastapi.Response(content, media_type=_FILES[name], headers=HEADERS)


def build_router() -> fastapi.APIRouter:
    """Gives the routes of what the page loads; the page itself is at `/`, beside its JSON form (`http.metadata`)."""
    router = fastapi.APIRouter(include_in_schema=False)

    @router.get("/page.css")
    async def style() -> fastapi.Response:
        return respond("page.css")

    @router.get("/page.js")
    async def script() -> fastapi.Response:
        return respond("page.js")

    return router
