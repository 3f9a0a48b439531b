/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between iommufd and an IOMMU driver for vIOMMUs. A vIOMMU is a
 * guest's slice of a physical IOMMU instance, with the devices that the guest
 * sees behind it.
 *
 * iommufd owns the objects that have an ID for user space. A driver embeds
 * struct iommu_viommu in its own struct. Neither calls a function of the other,
 * so each may be built in or a module.
 */
#ifndef __LINUX_IOMMU_VIOMMU_H
#define __LINUX_IOMMU_VIOMMU_H

#include <linux/iommu.h>
#include <linux/lockdep.h>
#include <linux/xarray.h>

struct iommu_viommu;
struct iommufd_viommu;

/**
 * struct iommu_vdevice - A device as the guest of a vIOMMU sees it
 * @viommu: vIOMMU, which outlives the vDEVICE
 * @dev: Device, which outlives the vDEVICE
 * @virt_id: ID of the device on the guest's IOMMU
 */
struct iommu_vdevice {
	struct iommu_viommu *viommu;
	struct device *dev;
	unsigned long virt_id;
};

/**
 * struct iommu_vevent_type - A type of event that a vIOMMU can report
 * @type: One of enum iommu_veventq_type
 * @len: Length in bytes of an event for user space, after its struct
 *       iommufd_vevent_header. A multiple of 4.
 */
struct iommu_vevent_type {
	u32 type;
	size_t len;
};

/**
 * struct iommu_viommu_ops - Operations of a driver for one type of vIOMMU
 * @alloc: Allocate a vIOMMU on the IOMMU instance of @dev, on the nest parent
 *         @parent. The caller keeps @parent for as long as the vIOMMU lives.
 *         @data has @data_len bytes from user space, NULL if there are none.
 *         The driver may change them for user space to read. The driver calls
 *         iommu_viommu_init(). Returns an ERR_PTR() on failure: -EINVAL if
 *         @parent can't serve this instance or the type needs @data, -ENOSPC if
 *         @parent has too many vIOMMUs, or -ENOMEM.
 * @free: Undo @alloc. No vDEVICE and no nested domain is left by then.
 * @data_len: Length in bytes of the type-specific data of IOMMU_VIOMMU_ALLOC.
 *            If 0, data from user space is ignored.
 * @check_vdevice: Check if @dev can have the ID @virt_id. Returns 0, -EINVAL if
 *                 @virt_id is out of range, -EOPNOTSUPP if the device can't
 *                 have a vDEVICE. Optional.
 * @link_vdevice: @vdev names its device from now on. Optional.
 * @unlink_vdevice: Drop every reference to @vdev, which is no longer in
 *                  iommu_viommu::vdevs. iommufd frees it after this returns.
 *                  Optional.
 * @cache_invalidate: Carry out the invalidation requests of @array in order and
 *                    complete them. Set array->entry_num to the number of
 *                    completed requests, also on failure. An empty array of a
 *                    known type succeeds. Optional.
 * @vevent_types: Types of events that the driver reports, ended by type 0. User
 *                space can't have a queue for another type. Optional.
 */
struct iommu_viommu_ops {
	struct iommu_viommu *(*alloc)(struct device *dev,
				      struct iommu_domain *parent, void *data);
	void (*free)(struct iommu_viommu *viommu);
	size_t data_len;
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
 * @ops: Operations of the driver
 * @parent: Nest parent domain
 * @vdevs: vDEVICEs, struct iommu_vdevice by virt_id. Written by iommufd. An
 *         entry and its device stay for as long as xa_lock() is held.
 * @iommufd: iommufd's side
 * @id: Object ID of the vIOMMU, for messages
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
 * iommu_viommu_init() - Initialize the driver side of a new vIOMMU
 * @viommu: vIOMMU, zeroed
 * @ops: Operations of the driver
 * @parent: Nest parent that was passed to iommu_viommu_ops::alloc
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
 * iommu_viommu_find_dev() - Find a physical device by the guest's ID
 * @viommu: vIOMMU, its @vdevs locked by xa_lock()
 * @virt_id: ID of the device on the guest's IOMMU
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
 * iommu_viommu_report_event() - Report an event of a vIOMMU to user space
 * @viommu: vIOMMU that the driver has not been asked to free yet
 * @type: One of the types in iommu_viommu_ops::vevent_types
 * @data: Event as the guest's IOMMU would report it, with the guest's IDs. NULL
 *        for an event that the hardware has lost, or may have lost.
 * @len: Length of @data in bytes, as given for @type
 *
 * Context: Process context, such as the thread of an interrupt. Neither sleeps
 * nor allocates, so the caller may hold mutexes and spinlocks. The driver holds
 * a lock from the lookup of a vDEVICE to the report of its event, and takes it
 * in iommu_viommu_ops::unlink_vdevice. Then a destroyed vDEVICE reports no
 * event.
 *
 * Return:
 * * 0 if the event is queued, or dropped since the queue is full: user space
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

#endif /* __LINUX_IOMMU_VIOMMU_H */
