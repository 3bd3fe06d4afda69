"""From the bytes of a file to the array that a base takes. Nothing else in Headstart decodes, resizes or scales."""
