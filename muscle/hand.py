r"""Hand: where the end of a two-joint arm is, how fast, and the force that acts on it.

$x = l_1 \cos q_1 + l_2 \cos(q_1 + q_2)$, $y = l_1 \sin q_1 + l_2 \sin(q_1 + q_2)$, and the torque
of a force $F$ on the hand is $J^T F$. The force is `force_x`, `force_y` plus a field that depends
on velocity, `field_xx*velocity_x + field_xy*velocity_y` and so on [N s/m].

Source: Shadmehr & Mussa-Ivaldi 1994, equations 1 to 3, doi:10.1523/JNEUROSCI.14-05-03208.1994.
Differs from it: nothing.
"""

EQUATIONS = """
x : metre
y : metre
elbow_x : metre
elbow_y : metre
velocity_x : metre/second
velocity_y : metre/second
force_x : newton
force_y : newton
total_x : newton
total_y : newton
field_xx : newton*second/metre
field_xy : newton*second/metre
field_yx : newton*second/metre
field_yy : newton*second/metre
l_1 : metre (constant)
l_2 : metre (constant)
shoulder_angle : 1 (linked)
elbow_angle : 1 (linked)
shoulder_velocity : 1/second (linked)
elbow_velocity : 1/second (linked)
"""
CODE = """
elbow_x = l_1*cos(shoulder_angle)
elbow_y = l_1*sin(shoulder_angle)
forearm_x = l_2*cos(shoulder_angle + elbow_angle)
forearm_y = l_2*sin(shoulder_angle + elbow_angle)
x = elbow_x + forearm_x
y = elbow_y + forearm_y
velocity_x = -y*shoulder_velocity - forearm_y*elbow_velocity
velocity_y = x*shoulder_velocity + forearm_x*elbow_velocity
total_x = force_x + field_xx*velocity_x + field_xy*velocity_y
total_y = force_y + field_yx*velocity_x + field_yy*velocity_y
"""
FROM_JOINTS = {
    "shoulder_angle": ("angle", 0),
    "elbow_angle": ("angle", 1),
    "shoulder_velocity": ("velocity", 0),
    "elbow_velocity": ("velocity", 1),
}
TO_JOINTS = {
    "hand_x": ("x", "metre"),
    "hand_y": ("y", "metre"),
    "hinge_x": ("elbow_x", "metre"),
    "hinge_y": ("elbow_y", "metre"),
    "hand_force_x": ("total_x", "newton"),
    "hand_force_y": ("total_y", "newton"),
}
TORQUE = (
    " + (hand_x - (1 - proximal)*hinge_x)*hand_force_y"
    " - (hand_y - (1 - proximal)*hinge_y)*hand_force_x"
)
