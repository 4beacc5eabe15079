//! How many requests for pages are answered at once, and how many open pages are told of news: of all clients, so that probes are
//! answered beside them, and of one, so that the others are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::limits::Client;

/// Of all clients.
const MOST: usize = 64;
/// Of one client.
const MOST_OF_ONE: usize = MOST / 4;

/// The seats that are taken, by client.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats(Arc<Mutex<HashMap<Client, usize>>>);

/// It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    client: Client,
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// The client has all that one may have.
    OfYours,
    OfAll,
}

impl Seats {
    pub(super) fn take(&self, client: Client) -> Result<Seat, NoSeat> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = taken.get(&client).copied().unwrap_or_default();
        if of_client >= MOST_OF_ONE {
            return Err(NoSeat::OfYours);
        }
        if taken.values().sum::<usize>() >= MOST {
            return Err(NoSeat::OfAll);
        }
        taken.insert(client, of_client + 1);
        Ok(Seat {
            seats: self.clone(),
            client,
        })
    }
}

#[cfg(test)]
impl Seats {
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.remove(&self.client).unwrap_or_default();
        if left > 1 {
            taken.insert(self.client, left - 1);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(number: u8) -> Client {
        Client::at(IpAddr::from([10, 0, 0, number]))
    }

    /// Leaves none for anybody.
    pub(in crate::web) fn all(seats: &Seats) -> Vec<Seat> {
        let clients = (0..4).flat_map(|number| [client(number); MOST_OF_ONE]);
        clients.map(|client| seats.take(client).unwrap()).collect()
    }

    #[test]
    fn one_client_leaves_seats_for_others_and_gets_back_what_it_gave_up() {
        let seats = Seats::default();
        let mut of_one: Vec<Seat> = (0..MOST_OF_ONE).map(|_| seats.take(client(1)).unwrap()).collect();
        assert_eq!(seats.take(client(1)).unwrap_err(), NoSeat::OfYours);
        let other = seats.take(client(2)).unwrap();
        of_one.pop();
        assert!(seats.take(client(1)).is_ok());
        drop((of_one, other));
        assert!(seats.is_empty(), "who left is forgotten");
    }

    #[test]
    fn all_clients_together_leave_room_for_probes() {
        let seats = Seats::default();
        let taken = all(&seats);
        assert_eq!(taken.len(), MOST);
        assert_eq!(seats.take(client(9)).unwrap_err(), NoSeat::OfAll);
        drop(taken);
        assert!(seats.take(client(9)).is_ok());
    }
}
