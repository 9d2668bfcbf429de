"""From a document that describes a service to the contract that the service must honour."""
