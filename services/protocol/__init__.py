"""Registers outgoing documents. Takes `RegisterNotice`, `SettleRegistration`; states `NoticeRegistered` and its doubts; owns the register."""
