"""The experiments of five student reports, trained again, and the page that holds the figures side by side.

`python -m benchmarks.reports` trains everything and writes docs/reports.md. What is typed by hand is the prose
(page.md) and what the reports say (reported.yaml); every other number on the page is read from the run folders.
"""
