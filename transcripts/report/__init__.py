"""The report: what a bundle says, put for people to read, print and file.

`compose` makes a document out of a log and its replay; `html` and `text` draw documents.
Nothing here reads a file, a clock or a setting: the same bundle gives the same bytes.
"""
