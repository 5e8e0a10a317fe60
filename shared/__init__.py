"""What every service stands on: contracts, bus, ledger, documents, configuration. Imports no service."""
