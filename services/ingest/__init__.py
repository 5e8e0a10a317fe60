"""Reads spreadsheets, keeps batches, paces each phase. Takes `RequestBatch` and control; states batch facts."""
