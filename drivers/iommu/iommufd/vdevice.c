// SPDX-License-Identifier: GPL-2.0-only
/*
 * vDEVICE objects: the virtual ID of a device on a vIOMMU.
 */
#include <linux/iommu.h>
#include <linux/iommu-viommu.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

void iommufd_vdevice_destroy(struct iommufd_object *obj)
{
	struct iommufd_vdevice *vdev =
		container_of(obj, struct iommufd_vdevice, obj);
	const struct iommu_viommu_ops *ops = vdev->viommu->core->ops;
	struct iommufd_device *idev = vdev->idev;

	mutex_lock(&idev->igroup->lock);
	xa_erase(&vdev->viommu->core->vdevs, vdev->core.virt_id);
	if (ops->unlink_vdevice)
		ops->unlink_vdevice(&vdev->core);
	idev->vdev = NULL;
	refcount_dec(&vdev->viommu->obj.users);
	mutex_unlock(&idev->igroup->lock);
	/* Taken by iommufd_vdevice_alloc_ioctl() */
	iommufd_put_object(idev->ictx, &idev->obj);
}

/**
 * iommufd_device_remove_vdevice() - Destroy the vDEVICE of a device that leaves
 * @idev: Device that is being unbound
 *
 * User space may not have destroyed the vDEVICE. Its ID becomes a tombstone, so
 * that a late user of the ID can't reach an unrelated object. The device can't
 * get another vDEVICE afterwards.
 *
 * If user space is destroying the vDEVICE at the same time, it holds a
 * reference to the device until that is done. Unbinding waits for it.
 */
void iommufd_device_remove_vdevice(struct iommufd_device *idev)
{
	struct iommufd_vdevice *vdev;

	mutex_lock(&idev->igroup->lock);
	idev->unbinding = true;
	vdev = idev->vdev;
	if (vdev && !refcount_inc_not_zero(&vdev->obj.users))
		vdev = NULL;
	mutex_unlock(&idev->igroup->lock);

	if (vdev)
		WARN_ON(iommufd_object_remove(idev->ictx, &vdev->obj,
					      vdev->obj.id,
					      REMOVE_WAIT_SHORTTERM |
					      REMOVE_OBJ_TOMBSTONE));
}

int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;
	struct iommufd_viommu *viommu;
	struct iommufd_vdevice *vdev;
	struct iommufd_device *idev;
	struct iommu_viommu *core;
	void *curr;
	int rc;

	/* Index of an xarray */
	if (cmd->virt_id > ULONG_MAX)
		return -EINVAL;

	vdev = iommufd_object_alloc(ucmd->ictx, vdev, IOMMUFD_OBJ_VDEVICE);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);

	/*
	 * User memory may be behind a FUSE file or a userfaultfd, and block for
	 * any time. Write the ID before taking the group's lock or a reference
	 * that an unbind waits for. The ID refers to no object until
	 * iommufd_object_finalize().
	 */
	cmd->out_vdevice_id = vdev->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto out_abort;

	viommu = iommufd_get_viommu(ucmd, cmd->viommu_id);
	if (IS_ERR(viommu)) {
		rc = PTR_ERR(viommu);
		goto out_abort;
	}
	core = viommu->core;

	idev = iommufd_get_device(ucmd, cmd->dev_id);
	if (IS_ERR(idev)) {
		rc = PTR_ERR(idev);
		goto out_put_viommu;
	}
	if (viommu->iommu_dev != idev->dev->iommu->iommu_dev) {
		rc = -EINVAL;
		goto out_put_idev;
	}

	mutex_lock(&idev->igroup->lock);
	if (idev->unbinding) {
		rc = -ENOENT;
		goto out_unlock;
	}
	if (idev->vdev) {
		rc = -EEXIST;
		goto out_unlock;
	}
	if (xa_load(&core->vdevs, cmd->virt_id)) {
		rc = -EEXIST;
		goto out_unlock;
	}
	if (core->ops->check_vdevice) {
		rc = core->ops->check_vdevice(core, idev->dev, cmd->virt_id);
		if (rc)
			goto out_unlock;
	}

	vdev->core = (struct iommu_vdevice){
		.viommu = core,
		.dev = idev->dev,
		.virt_id = cmd->virt_id,
	};
	vdev->viommu = viommu;
	vdev->idev = idev;

	curr = xa_cmpxchg(&core->vdevs, cmd->virt_id, NULL, &vdev->core,
			  GFP_KERNEL);
	if (curr) {
		rc = xa_err(curr) ?: -EEXIST;
		goto out_unlock;
	}
	if (core->ops->link_vdevice)
		core->ops->link_vdevice(&vdev->core);
	idev->vdev = vdev;
	refcount_inc(&viommu->obj.users);
	iommufd_object_finalize(ucmd->ictx, &vdev->obj);
	mutex_unlock(&idev->igroup->lock);
	/* The vDEVICE keeps the reference to idev */
	iommufd_put_object(ucmd->ictx, &viommu->obj);
	return 0;

out_unlock:
	mutex_unlock(&idev->igroup->lock);
out_put_idev:
	iommufd_put_object(ucmd->ictx, &idev->obj);
out_put_viommu:
	iommufd_put_object(ucmd->ictx, &viommu->obj);
out_abort:
	iommufd_object_abort(ucmd->ictx, &vdev->obj);
	return rc;
}
