"""The parts that screens are made of: frame, fields, pages, dialogs, the QR code."""
