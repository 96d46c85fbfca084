"""Serves the page on this computer, and to no other."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pymc_mlm.errors import SpecificationError

LOOPBACK = "127.0.0.1"
# Another page that the browser shows cannot ask in the name of another host.
HOSTS = [LOOPBACK, "localhost"]


def guarded_app() -> Any:
    """Return the page as an ASGI application that answers to this computer's names alone.

    Raises
    ------
    SpecificationError
        Shiny is not installed.
    """
    if find_spec("shiny") is None:
        raise SpecificationError(
            "The page for planners needs Shiny for Python, which is not installed. Run: "
            "python -m pip install 'pymc-mlm[plan]'"
        )
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from pymc_mlm.planner.app import app

    return TrustedHostMiddleware(app(), allowed_hosts=HOSTS)


def serve(port: int = 8765, browser: bool = True) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    port : int
        Of the loopback address 127.0.0.1; there is no other address.
    browser : bool
        Whether to open it in the browser.
    """
    if not 1024 <= port <= 65535:
        raise SpecificationError(f"port={port!r} must be a whole number from 1024 to 65535.")
    application = guarded_app()
    import uvicorn

    address = f"http://{LOOPBACK}:{port}"
    print(f"The page is at {address} until you press Ctrl-C.")
    if browser:
        import threading
        import webbrowser

        threading.Timer(1.0, webbrowser.open, [address]).start()
    uvicorn.run(application, host=LOOPBACK, port=port, log_level="warning")
