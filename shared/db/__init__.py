"""Engines, transactions and the ledger."""
