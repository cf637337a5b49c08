package resp

// mailMax bounds the messages that wait to be written to one connection. A client that does not read them in time
// is cut off, as it would miss some.
const mailMax = 16

// Publish sends a message in a channel to the connections that listen to it. It does not wait for them.
func (s *Server) Publish(channel, text string) {
	for _, c := range s.open() {
		mail := c.mail.Load()
		if mail == nil {
			continue
		}
		message := c.session.Message(channel, text)
		if message == nil {
			continue
		}
		select {
		case *mail <- message:
		default:
			c.logger.Warn("client cut off: it does not read the messages that it listens to")
			s.stats.cutOff.Add(1)
			c.kill()
		}
	}
}

// takeMail has messages delivered to the connection from now on, if it listens to channels. What is published
// before the answer to the first subscription is not.
func (c *conn) takeMail() {
	if c.mail.Load() != nil || !c.session.Subscribed() {
		return
	}
	mail := make(chan []byte, mailMax)
	c.mail.Store(&mail)
	c.mailman.Go(func() {
		for {
			select {
			case message := <-mail:
				if c.write(message) != nil {
					return
				}
			case <-c.ctx.Done():
				return
			}
		}
	})
}
