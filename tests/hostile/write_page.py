"""Write `docs/hostile.md` from the tables: `python -m tests.hostile.write_page`."""

from tests.hostile.table import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
