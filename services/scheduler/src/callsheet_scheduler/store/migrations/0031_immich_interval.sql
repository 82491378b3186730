-- How often the controller of an Immich server looks at it; null where its settings hold.
ALTER TABLE immich_server ADD COLUMN interval_s double precision;
