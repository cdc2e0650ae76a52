fn (
