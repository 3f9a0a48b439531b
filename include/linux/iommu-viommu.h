/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What iommufd and an IOMMU driver share of a vIOMMU: one guest's slice of one
 * physical IOMMU instance, and the devices that the guest sees behind it.
 *
 * iommufd owns the objects that user space knows by id. A driver embeds
 * struct iommu_viommu in a struct of its own. Neither calls a function of the
 * other, so each may be built in or a module.
 */
#ifndef __LINUX_IOMMU_VIOMMU_H
#define __LINUX_IOMMU_VIOMMU_H

#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

struct iommu_viommu;
struct iommufd_viommu;

/**
 * struct iommu_vdevice - A device as the guest of a vIOMMU knows it
 * @viommu: The vIOMMU, which outlives this
 * @dev: The device, which outlives this
 * @virt_id: The id by which the guest's IOMMU names the device
 */
struct iommu_vdevice {
	struct iommu_viommu *viommu;
	struct device *dev;
	unsigned long virt_id;
};

/**
 * struct iommu_vevent_type - A type of event that a vIOMMU can report
 * @type: One of enum iommu_veventq_type
 * @len: Length in bytes of what user space reads of an event, after its
 *       struct iommu_vevent_header. A multiple of 4.
 */
struct iommu_vevent_type {
	u32 type;
	size_t len;
};

/**
 * struct iommu_viommu_ops - What a driver does for one type of vIOMMU
 * @alloc: Allocate a vIOMMU on the IOMMU instance that serves @dev, over the
 *         nest parent @parent which the caller keeps for as long as the vIOMMU
 *         lives. The driver calls iommu_viommu_init(). Returns an ERR_PTR() on
 *         failure: -EINVAL if @parent can't serve this instance.
 * @free: Undo @alloc. No vDEVICE and no nested domain is left by then.
 * @data_len: Length in bytes of the type specific data of VIOMMU_ALLOC. What
 *            user space gives is ignored if this is 0.
 * @init: Take @data_len bytes of @data from user space, for the new vIOMMU, and
 *        leave there what user space is to read. Not called if it gives none.
 *        Needed with @data_len.
 * @check_vdevice: May @dev be known as @virt_id here? 0, -EINVAL if @virt_id is
 *                 out of range, -EOPNOTSUPP if the device can't be. Optional.
 * @link_vdevice: @vdev names its device from now on. Optional.
 * @unlink_vdevice: It does no longer, and goes when this returns. Optional.
 * @cache_invalidate: Carry out the invalidation requests of @array in order,
 *                    complete them, and set array->entry_num to the number that
 *                    have completed, also on failure. An empty array of a type
 *                    that the driver knows succeeds. Optional.
 * @vevent_types: The types of events that the driver reports, up to one of type
 *                0. User space gets a queue for no other type. Optional.
 */
struct iommu_viommu_ops {
	struct iommu_viommu *(*alloc)(struct device *dev,
				      struct iommu_domain *parent);
	void (*free)(struct iommu_viommu *viommu);
	size_t data_len;
	int (*init)(struct iommu_viommu *viommu, void *data);
	int (*check_vdevice)(struct iommu_viommu *viommu, struct device *dev,
			     u64 virt_id);
	void (*link_vdevice)(struct iommu_vdevice *vdev);
	void (*unlink_vdevice)(struct iommu_vdevice *vdev);
	int (*cache_invalidate)(struct iommu_viommu *viommu,
				struct iommu_user_data_array *array);
	const struct iommu_vevent_type *vevent_types;
};

/**
 * struct iommu_viommu - Driver side of a vIOMMU
 * @ops: The driver's
 * @parent: The nest parent domain
 * @vdevs: The vDEVICEs, struct iommu_vdevice by virt_id. Written by iommufd. An
 *         entry and the device it names stay for as long as xa_lock() is held.
 * @iommufd: iommufd's side
 * @id: Its id on the iommufd, for messages
 * @report_event: Set by iommufd before there is a vDEVICE. The driver calls
 *                iommu_viommu_report_event().
 */
struct iommu_viommu {
	const struct iommu_viommu_ops *ops;
	struct iommu_domain *parent;
	struct xarray vdevs;
	struct iommufd_viommu *iommufd;
	u32 id;
	int (*report_event)(struct iommu_viommu *viommu, u32 type,
			    const void *data, size_t len);
};

/**
 * iommu_viommu_init() - Fill in the driver side of a new vIOMMU
 * @viommu: The vIOMMU, zeroed
 * @ops: The ops that its @alloc is one of
 * @parent: The nest parent that @alloc was called with
 */
static inline void iommu_viommu_init(struct iommu_viommu *viommu,
				     const struct iommu_viommu_ops *ops,
				     struct iommu_domain *parent)
{
	viommu->ops = ops;
	viommu->parent = parent;
	xa_init_flags(&viommu->vdevs, XA_FLAGS_ACCOUNT);
}

/**
 * iommu_viommu_find_dev() - Physical device by the id that the guest uses
 * @viommu: The vIOMMU, its @vdevs locked by xa_lock()
 * @virt_id: The id
 *
 * Return: the device, valid until xa_unlock(), or NULL
 */
static inline struct device *
iommu_viommu_find_dev(struct iommu_viommu *viommu, unsigned long virt_id)
{
	struct iommu_vdevice *vdev;

	lockdep_assert_held(&viommu->vdevs.xa_lock);
	vdev = xa_load(&viommu->vdevs, virt_id);
	return vdev ? vdev->dev : NULL;
}

/**
 * iommu_viommu_has_dev() - Does a device have a vDEVICE on this vIOMMU?
 * @viommu: The vIOMMU
 * @dev: The device
 *
 * Return: true if so at the time of the call
 */
static inline bool iommu_viommu_has_dev(struct iommu_viommu *viommu,
					struct device *dev)
{
	struct iommu_vdevice *vdev;
	unsigned long virt_id;
	bool found = false;

	xa_lock(&viommu->vdevs);
	xa_for_each(&viommu->vdevs, virt_id, vdev)
		found |= vdev->dev == dev;
	xa_unlock(&viommu->vdevs);
	return found;
}

/**
 * iommu_viommu_report_event() - Tell user space what happened on a vIOMMU
 * @viommu: The vIOMMU, as long as the driver has not been asked to free it
 * @type: One of the types in iommu_viommu_ops::vevent_types
 * @data: The event as the guest's IOMMU would show it: with the guest's ids.
 *        NULL for one that the hardware had no room for, or may have had none.
 * @len: Length of @data in bytes, as given for @type
 *
 * Context: Process context, such as the thread of an interrupt. Neither sleeps
 * nor allocates, so the caller may hold mutexes and spinlocks: one that
 * iommu_viommu_ops::unlink_vdevice takes as well, from looking up a vDEVICE to
 * the report of its event, makes sure that there is none once it is destroyed.
 *
 * Return:
 * * 0 if the event is user space's now, also if its queue is full: user space
 *   can see that it has lost an event
 * * -ENOENT if user space has no queue for this type. The driver treats the
 *   event as if there were no vIOMMU.
 * * -EINVAL if @len is wrong
 */
static inline int iommu_viommu_report_event(struct iommu_viommu *viommu,
					    u32 type, const void *data,
					    size_t len)
{
	return viommu->report_event(viommu, type, data, len);
}

/**
 * iommu_user_array_read() - Copy consecutive entries of a user array
 * @dst: Room for *@num entries of @size bytes
 * @size: Length in bytes of an entry as the kernel knows it
 * @array: The array. A shorter entry is padded with zeros, a longer one must
 *         have zeros beyond @size.
 * @first: Index of the first entry to copy
 * @num: Number of entries to copy, on return the number that were copied
 *
 * Return:
 * * 0 if all were copied
 * * -EFAULT if user memory of entry @first + *@num can't be read
 * * -E2BIG if that entry has a non-zero byte that the kernel does not know
 */
static inline int iommu_user_array_read(void *dst, size_t size,
					const struct iommu_user_data_array *array,
					u32 first, u32 *num)
{
	void __user *src = array->uptr + first * array->entry_len;
	u32 i;

	if (array->entry_len == size && !copy_from_user(dst, src, size * *num))
		return 0;

	/* One by one, to learn which entry it is that can't be had */
	for (i = 0; i != *num; i++) {
		int rc = copy_struct_from_user(dst + i * size, size,
					       src + i * array->entry_len,
					       array->entry_len);

		if (rc) {
			*num = i;
			return rc;
		}
	}
	return 0;
}

#endif /* __LINUX_IOMMU_VIOMMU_H */
