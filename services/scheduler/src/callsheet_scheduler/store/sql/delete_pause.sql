-- Forget the pause of a scope.
DELETE FROM queue_pause WHERE scope = $1
