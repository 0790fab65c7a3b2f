"""compile() and tune(): where every part of the compiler meets."""
