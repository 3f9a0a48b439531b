// SPDX-License-Identifier: GPL-2.0-only
/*
 * vEVENTQ objects: events of a physical IOMMU about a guest's translations,
 * read from a file descriptor.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu-viommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/* 2^19, the size of the largest event queue of an SMMUv3 */
#define VEVENTQ_MAX_DEPTH	524288

static struct iommufd_veventq *
iommufd_viommu_find_veventq(struct iommufd_viommu *viommu, u32 type)
{
	struct iommufd_veventq *veventq;

	lockdep_assert_held(&viommu->events_lock);

	list_for_each_entry(veventq, &viommu->veventqs, viommu_item)
		if (veventq->type == type)
			return veventq;
	return NULL;
}

/*
 * Drivers get here by iommu_viommu_report_event(). A guest can cause any number
 * of events. Each costs one copy into existing memory and at most one wakeup.
 */
static int iommufd_viommu_report_event(struct iommu_viommu *core, u32 type,
				       const void *data, size_t len)
{
	struct iommufd_viommu *viommu = core->iommufd;
	struct iommufd_veventq *veventq;
	int rc = 0;

	/* This also keeps the vEVENTQ, see iommufd_veventq_destroy() */
	spin_lock(&viommu->events_lock);
	veventq = iommufd_viommu_find_veventq(viommu, type);
	if (!veventq || !veventq->collecting)
		rc = -ENOENT;
	else if (WARN_ON_ONCE(data && len != veventq->ring.payload_len))
		rc = -EINVAL;
	else if (vevent_ring_push(&veventq->ring, data))
		wake_up_interruptible_poll(&veventq->wait_queue,
					   EPOLLIN | EPOLLRDNORM);
	spin_unlock(&viommu->events_lock);
	return rc;
}

/**
 * iommufd_viommu_init_events() - Prepare a vIOMMU for event queues
 * @viommu: A new vIOMMU
 */
void iommufd_viommu_init_events(struct iommufd_viommu *viommu)
{
	spin_lock_init(&viommu->events_lock);
	INIT_LIST_HEAD(&viommu->veventqs);
	viommu->core->report_event = iommufd_viommu_report_event;
}

void iommufd_veventq_destroy(struct iommufd_object *obj)
{
	struct iommufd_veventq *veventq =
		container_of(obj, struct iommufd_veventq, obj);
	struct iommufd_viommu *viommu = veventq->viommu;

	spin_lock(&viommu->events_lock);
	list_del(&veventq->viommu_item);
	spin_unlock(&viommu->events_lock);

	kvfree(veventq->ring.entries);
	mutex_destroy(&veventq->read_mutex);
	refcount_dec(&viommu->obj.users);
}

/*
 * A record leaves the queue only after the copy, so there is nothing to put
 * back if user memory can't be written. Only readers remove records. These stay
 * in place without the spinlock.
 */
static ssize_t iommufd_veventq_fops_read(struct file *filep, char __user *buf,
					 size_t count, loff_t *ppos)
{
	struct iommufd_veventq *veventq = filep->private_data;
	spinlock_t *events_lock = &veventq->viommu->events_lock;
	const struct iommufd_vevent_header *record;
	struct iommufd_vevent_header lost;
	size_t done = 0;
	size_t len;
	int rc = 0;

	/* io_uring can pass a position although the file is not seekable */
	if (*ppos)
		return -ESPIPE;
	if (count < sizeof(*record))
		return -EINVAL;

	/* The copy of another reader may wait long for its page */
	if (mutex_lock_killable(&veventq->read_mutex))
		return -EINTR;

	while (!fatal_signal_pending(current)) {
		spin_lock(events_lock);
		record = vevent_ring_peek(&veventq->ring, &lost, &len);
		spin_unlock(events_lock);
		if (!record)
			break;

		if (len > count - done) {
			rc = -EINVAL;
			break;
		}
		if (copy_to_user(buf + done, record, len)) {
			rc = -EFAULT;
			break;
		}
		done += len;

		spin_lock(events_lock);
		vevent_ring_pop(&veventq->ring, record);
		spin_unlock(events_lock);
		cond_resched();
	}
	mutex_unlock(&veventq->read_mutex);

	return done ?: rc;
}

static __poll_t iommufd_veventq_fops_poll(struct file *filep,
					  struct poll_table_struct *wait)
{
	struct iommufd_veventq *veventq = filep->private_data;
	__poll_t pollflags = 0;

	poll_wait(filep, &veventq->wait_queue, wait);
	spin_lock(&veventq->viommu->events_lock);
	if (!vevent_ring_empty(&veventq->ring))
		pollflags = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&veventq->viommu->events_lock);

	return pollflags;
}

static int iommufd_veventq_fops_release(struct inode *inode, struct file *filep)
{
	struct iommufd_veventq *veventq = filep->private_data;
	/* The vEVENTQ may be destroyed once its users reference is dropped */
	struct iommufd_ctx *ictx = veventq->ictx;

	refcount_dec(&veventq->obj.users);
	iommufd_ctx_put(ictx);
	return 0;
}

/* There is no position: an anonymous inode has no FMODE_LSEEK or FMODE_PREAD */
static const struct file_operations iommufd_veventq_fops = {
	.owner		= THIS_MODULE,
	.read		= iommufd_veventq_fops_read,
	.poll		= iommufd_veventq_fops_poll,
	.release	= iommufd_veventq_fops_release,
};

static const struct iommu_vevent_type *
iommufd_viommu_vevent_type(struct iommufd_viommu *viommu, u32 type)
{
	const struct iommu_vevent_type *desc = viommu->core->ops->vevent_types;

	for (; desc && desc->type; desc++)
		if (desc->type == type)
			return desc;
	return NULL;
}

/* Reserve the type for this vEVENTQ. It gets no event yet. */
static int iommufd_veventq_link(struct iommufd_veventq *veventq)
{
	struct iommufd_viommu *viommu = veventq->viommu;
	int rc = 0;

	spin_lock(&viommu->events_lock);
	if (iommufd_viommu_find_veventq(viommu, veventq->type))
		rc = -EEXIST;
	else
		list_add_tail(&veventq->viommu_item, &viommu->veventqs);
	spin_unlock(&viommu->events_lock);
	return rc;
}

/*
 * Allocate all memory that the queue will ever need, and charge it to the
 * caller. Later there is no one to charge: an interrupt thread reports the
 * events, as fast as a guest can cause them, and can't wait for memory. User
 * space chooses the size, so a failure must not fill the log.
 */
static int iommufd_veventq_alloc_ring(struct iommufd_veventq *veventq,
				      u32 depth, size_t payload_len)
{
	struct vevent_ring *ring = &veventq->ring;

	ring->depth = depth;
	ring->payload_len = payload_len;
	ring->entries = kvmalloc_array(depth, vevent_ring_entry_len(ring),
				       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return ring->entries ? 0 : -ENOMEM;
}

int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;
	const struct iommu_vevent_type *desc;
	struct iommufd_veventq *veventq;
	struct iommufd_viommu *viommu;
	struct file *filep;
	int fdno;
	int rc;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > VEVENTQ_MAX_DEPTH)
		return -EINVAL;

	viommu = iommufd_get_viommu(ucmd, cmd->viommu_id);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);

	desc = iommufd_viommu_vevent_type(viommu, cmd->type);
	if (!desc) {
		rc = -EOPNOTSUPP;
		goto out_put_viommu;
	}

	veventq = iommufd_object_alloc(ucmd->ictx, veventq,
				       IOMMUFD_OBJ_VEVENTQ);
	if (IS_ERR(veventq)) {
		rc = PTR_ERR(veventq);
		goto out_put_viommu;
	}
	veventq->ictx = ucmd->ictx;
	veventq->type = cmd->type;
	veventq->viommu = viommu;
	refcount_inc(&viommu->obj.users);
	INIT_LIST_HEAD(&veventq->viommu_item);
	mutex_init(&veventq->read_mutex);
	init_waitqueue_head(&veventq->wait_queue);

	rc = iommufd_veventq_link(veventq);
	if (rc)
		goto out_abort;

	rc = iommufd_veventq_alloc_ring(veventq, cmd->veventq_depth, desc->len);
	if (rc)
		goto out_abort;

	filep = anon_inode_getfile("[iommufd-viommu-event]",
				   &iommufd_veventq_fops, veventq, O_RDWR);
	if (IS_ERR(filep)) {
		rc = PTR_ERR(filep);
		goto out_abort;
	}
	/* Put by the file's release, which an abort waits for */
	refcount_inc(&veventq->obj.users);
	iommufd_ctx_get(veventq->ictx);
	veventq->filep = filep;

	fdno = get_unused_fd_flags(O_CLOEXEC);
	if (fdno < 0) {
		rc = fdno;
		goto out_abort;
	}

	cmd->out_veventq_id = veventq->obj.id;
	cmd->out_veventq_fd = fdno;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto out_put_fdno;

	/* Last of all, so that an aborted queue has taken no event */
	spin_lock(&viommu->events_lock);
	veventq->collecting = true;
	spin_unlock(&viommu->events_lock);

	iommufd_object_finalize(ucmd->ictx, &veventq->obj);
	fd_install(fdno, filep);
	goto out_put_viommu;

out_put_fdno:
	put_unused_fd(fdno);
out_abort:
	iommufd_object_abort_and_destroy(ucmd->ictx, &veventq->obj);
out_put_viommu:
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return rc;
}
