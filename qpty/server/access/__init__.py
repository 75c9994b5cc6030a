"""Who may call, from where, and how often: keys, browsers' cookies and links, Host and Origin, rates and slots."""
