"""A pagoPA for rehearsals and tests: GPD v1 in its real wire format, with a journal on disk and faults on command."""

from deploy.simulators.pagopa.book import Book, Journal
from deploy.simulators.pagopa.faults import Fault
from deploy.simulators.pagopa.server import PagoPaSimulator, serve

__all__ = ["Book", "Fault", "Journal", "PagoPaSimulator", "serve"]
