"""The closing table: where every service is, and what its page shows."""

from __future__ import annotations

from rich.table import Table

from scorehouse.services import SERVICES
from scorehouse.settings import Settings


def address_table(settings: Settings, running: set[str], tls: bool = False) -> Table:
    """Return the table of the services among `running`, with the configured ports. `tls`: the gateway uses HTTPS."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)  # an address is never wrapped
    table.add_column()
    for service in SERVICES.values():
        if service.name in running:
            address = service.address(settings)
            if tls and service.name == "gateway":
                address = address.replace("http://", "https://", 1)
            table.add_row(f"[bold]{service.name}", f"{address}{service.page}", service.shows)
    return table
