"""Pages of the site that are made from the code when it is built; nothing on them is typed by hand."""
