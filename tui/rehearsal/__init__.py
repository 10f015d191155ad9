"""Everything a rehearsal needs to be real: an image, people, builders, keys, media, a sheet."""
