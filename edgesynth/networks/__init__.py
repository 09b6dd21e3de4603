"""Networks: the zoo, a user's own factory, and the `.edgenet` folder."""
