"""The three kinds every flow is built from: a prompt, a tool call, a flow inside a flow."""
