"""Exports of a sealed bundle: read it, replay it, sign what is made of it, write one new file."""
