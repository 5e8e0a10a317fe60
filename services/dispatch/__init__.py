"""Sends one message per record. Takes `NoticeRegistered`, `DispatchNotice`, `SettleSending`; states `NoticeSent` and its doubts; owns the mailboxes."""
