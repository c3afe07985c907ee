"""`python -m laser_cli` is `laser`."""

from laser_cli.cli.main import run

if __name__ == "__main__":
    run()
