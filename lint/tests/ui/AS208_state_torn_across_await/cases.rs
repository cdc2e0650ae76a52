struct Client {
    connection: Option<u32>,
    queue: Vec<u32>,
}

async fn renew(connection: Option<u32>) -> Option<u32> {
    connection
}

async fn wait() {}

impl Client {
    async fn refresh(&mut self) {
        let connection = self.connection.take(); //~ AS208
        let connection = renew(connection).await;
        self.connection = connection;
    }

    async fn drain(&mut self) {
        let mut queue = std::mem::take(&mut self.queue); //~ AS208
        wait().await;
        queue.clear();
        self.queue = queue;
    }

    async fn let_else(&mut self) {
        let Some(connection) = self.connection.take() else { return }; //~ AS208
        wait().await;
        self.connection = Some(connection);
    }

    async fn close(&mut self) {
        let connection = self.connection.take();
        wait().await;
        drop(connection);
    }

    async fn at_once(&mut self) {
        let connection = self.connection.take();
        self.connection = connection.map(|number| number + 1);
        wait().await;
    }

    async fn local(&mut self, mut number: Option<u32>) -> Option<u32> {
        let taken = number.take();
        wait().await;
        number = taken;
        number
    }
}
