"""Makes documents. Takes `IuvAssigned`, `PreviewRecord`; states `NoticeRendered`, `RenderRefused`, `PreviewRendered`; owns the PDFs."""
