"""An aggregator that sums up each second."""

from crash import metrics

DAY = 86400


class Summing:
    """It, and what pushes to it."""

    def __init__(self, aggregator, pusher):
        self.aggregator, self.pusher, self.today = aggregator, pusher, pusher.start

    def waiting(self):
        """Segments that are not summed up by hour and by day."""
        m = metrics(self.aggregator)
        return [m[f'aperture_rollup_waiting_segments{{level="{level}"}}'] for level in ("hourly", "daily")]

    def push(self):
        """Samples of three days, of each of which a table of sums has an insert."""
        for days in range(3):
            self.pusher.start = self.today - days * DAY
            self.pusher.push()

    def stored(self):
        return metrics(self.aggregator)["aperture_clickhouse_pending_rows"] == 0

    def total(self):
        graph = self.aggregator.get("/api/v1/flamegraph?type=cpu:samples&from=now-7d&to=now")
        assert graph["coverage"]["samples"] == graph["total"], graph["coverage"]
        return graph["total"]
