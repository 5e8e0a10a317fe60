"""Opens debt positions. Takes `AssignIuv`, `WithdrawPosition`; states `IuvAssigned`, `IuvRefused`, `PositionWithdrawn`; owns the numbers."""
