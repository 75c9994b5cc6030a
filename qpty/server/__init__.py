"""HTTP over the sessions: routes, streams, who may call, and the settings of it all."""
