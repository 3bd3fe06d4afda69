import os; os.environ['TF_CPP_MIN_LOG_LEVEL']='3'
import keras, numpy as np, time
from keras import layers as L
from headstart.features.frozen import *
from headstart.features.fingerprint import fingerprint
def show(m):
    b=find_boundary(m)
    if isinstance(b,Undivided): print('UND',b.reason); return
    x=np.random.rand(2,*m.input_shape[1:]).astype('f4')
    d=np.abs(np.asarray(b.suffix(b.prefix(x)))-np.asarray(m(x))).max()
    print(b.layer,b.prefix.output_shape,d,[v.path for v in b.suffix.trainable_variables]==[v.path for v in m.trainable_variables], [id(v) for v in b.suffix.trainable_variables]==[id(v) for v in m.trainable_variables]); t=time.time(); print(fingerprint(b.prefix)[:8],f'{time.time()-t:.2f}s')
def base():
    i=keras.Input((32,32,3)); x=L.Conv2D(8,3,name='c1')(i); x=L.BatchNormalization()(x); y=L.Conv2D(8,1,name='c2')(x); x=x+y; x=L.Dropout(.2)(x); x=L.Conv2D(4,3,name='c3')(x); return keras.Model(i,x,name='base')
b=base(); b.trainable=False
show(keras.Sequential([b,L.Flatten(),L.Dense(3)]))
show(keras.Sequential([keras.Sequential([b,L.ReLU()]),L.Flatten(),L.Dropout(.5),L.Dense(3)]))
i=keras.Input((32,32,3)); x=L.RandomFlip()(i); x=L.Rescaling(1/255)(x); x=b(x,training=False); x=L.GlobalAveragePooling2D()(x); m=keras.Model(i,L.Dense(2)(x)); show(m)
f=split_front(m); print(f); show(f[1])
b.trainable=True; show(keras.Sequential([b,L.Flatten(),L.Dense(3)]))
b2=base(); b2.trainable=False; b2.get_layer('c3').trainable=True
show(keras.Sequential([L.Rescaling(1/255,input_shape=(32,32,3)) if False else keras.Input((32,32,3)),L.Rescaling(1/255),b2,L.Flatten(),L.Dense(3)]))
i=keras.Input((32,32,3)); m=keras.Model(i,L.Dense(2)(L.Flatten()(b2(L.Rescaling(1.)(i),training=False)))); show(m)
v=keras.applications.VGG16(weights=None,include_top=False,input_shape=(64,64,3)); v.trainable=False
show(keras.Sequential([v,L.Flatten(),L.Dense(256),L.Dropout(.5),L.Dense(10)]))
v=keras.applications.EfficientNetB0(weights=None,include_top=False,input_shape=(64,64,3)); v.trainable=False
show(keras.Sequential([v,L.Flatten(),L.Dense(10)]))
v=keras.applications.MobileNetV2(weights=None,include_top=False,input_shape=(64,64,3)); v.trainable=False
for l in v.layers[-8:]:
    if not isinstance(l,L.BatchNormalization): l.trainable=True
show(keras.Sequential([v,L.GlobalAveragePooling2D(),L.Dense(10)]))
