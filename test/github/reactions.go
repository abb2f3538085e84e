package github

import (
	"slices"
)

var reactionNames = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

func renderRollup(at string, reactions []*Reaction) obj {
	o := obj{"url": at + "/reactions", "total_count": len(reactions)}
	for _, name := range reactionNames {
		o[name] = 0
	}
	for _, x := range reactions {
		o[x.Content] = o[x.Content].(int) + 1
	}
	return o
}

func (s *Server) renderReaction(x *Reaction) obj {
	return obj{"id": x.ID, "node_id": nodeID("REA", x.ID), "user": s.renderUser(x.author), "content": x.Content, "created_at": stamp(x.made)}
}

// react adds a reaction, or answers 200 with the one the caller gave before.
func (c *call) react(to *[]*Reaction) answer {
	if a := c.types("content:string!"); a != nil {
		return *a
	}
	content, who := c.text("content"), c.who.actor()
	if !slices.Contains(reactionNames, content) {
		return invalid(fieldError{"Reaction", "content", "invalid", ""})
	}
	for _, x := range *to {
		if x.author == who && x.Content == content {
			return ok(c.s.renderReaction(x))
		}
	}
	x := &Reaction{ID: c.s.next(), Author: who.Login, Content: content, author: who, made: c.s.now()}
	*to = append(*to, x)
	return created(c.s.renderReaction(x))
}

func (c *call) reactions(of []*Reaction) answer {
	if want := c.query.Get("content"); want != "" {
		of = slices.DeleteFunc(slices.Clone(of), func(x *Reaction) bool { return x.Content != want })
	}
	return ok(list(c, of, c.s.renderReaction))
}

func (c *call) commentReactions() answer {
	if k := c.repo.comment(c.id("comment_id")); k != nil {
		return c.reactions(k.reacts)
	}
	return notFound()
}

func (c *call) reactToComment() answer {
	if k := c.repo.comment(c.id("comment_id")); k != nil {
		return c.react(&k.reacts)
	}
	return notFound()
}

func (c *call) deleteReaction() answer {
	k := c.repo.comment(c.id("comment_id"))
	if k == nil {
		return notFound()
	}
	n := slices.IndexFunc(k.reacts, func(x *Reaction) bool { return x.ID == c.id("reaction_id") })
	if n < 0 {
		return notFound()
	}
	k.reacts = slices.Delete(slices.Clone(k.reacts), n, n+1)
	return noContent()
}

func (c *call) issueReactions() answer {
	if i := c.issue(); i != nil {
		return c.reactions(i.reacted)
	}
	return notFound()
}

func (c *call) reactToIssue() answer {
	if i := c.issue(); i != nil {
		return c.react(&i.reacted)
	}
	return notFound()
}
