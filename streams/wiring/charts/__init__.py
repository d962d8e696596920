"""Charts as SVG text: no library, no script, light and dark, fit for print. Know numbers and words, no message."""
