"""The run folder: where it is, what it holds, and writing it so that no half of a file is ever seen."""
