-- Let the settings of an Immich server's controller hold.
DELETE FROM immich_server WHERE name = $1
