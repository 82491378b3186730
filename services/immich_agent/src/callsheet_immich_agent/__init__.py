"""The Immich controller: runs the queues of an Immich server few at a time, most urgent first."""
