import os; os.environ['TF_CPP_MIN_LOG_LEVEL']='3'
import keras, numpy as np
L=keras.layers
i=keras.Input((3,)); b=keras.Model(i,L.Dropout(.5)(i)); 
j=keras.Input((3,)); m=keras.Model(j,b(j,training=False))
print(np.asarray(m(np.ones((1,3)),training=True)), np.asarray(m(np.ones((1,3)))))
class W(L.Layer):
    def __init__(s,b): super().__init__(); s.b=b
    def call(s,x): return s.b(x,training=False)
m=keras.Model(j,W(b)(j)); print(np.asarray(m(np.ones((1,3)),training=True)))
