"""The bridge between chat and boards: text to typed commands to frames, and back."""
