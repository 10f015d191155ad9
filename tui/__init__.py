"""The face: full screen, plain prompts, one-shot commands. Everything is wired together here."""
