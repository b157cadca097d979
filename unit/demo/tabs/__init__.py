"""The tabs of the page: each lays itself out, has its handlers, and says which control calls which."""
